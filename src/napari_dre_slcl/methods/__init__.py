"""One file per method: what it trains, its step, its slide vector."""
