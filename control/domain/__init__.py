"""What Garrison knows, as frozen values and pure rules. Standard library only; no clock, no randomness."""
