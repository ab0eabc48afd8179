"""What `make` runs: the checks of this repository and the tests' set-up. Nothing in the product imports it."""
