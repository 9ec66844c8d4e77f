"""Makes the leaderboards' website: static files that need no server and load nothing external."""
