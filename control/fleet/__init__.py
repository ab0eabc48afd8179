"""Outposts and what they need: tokens, enrolment, what each may see, and what is known of their instances."""
