"""How requests go on to who answers them, and the answers back."""
