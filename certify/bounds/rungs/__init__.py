"""What each road hangs on the ladder, and the order between rungs: one file per road."""
