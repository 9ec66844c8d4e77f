"""The leaderboards as a static site: plain files that need no server and load nothing elsewhere."""
