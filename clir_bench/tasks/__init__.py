"""What is evaluated: cards, languages, pairs, and the data behind them."""
