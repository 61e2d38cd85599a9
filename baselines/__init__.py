"""One file a competing paper, each a method; and the floors."""
