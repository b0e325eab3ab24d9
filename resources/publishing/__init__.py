"""Publishing an avatar, and what a publication was made from."""
