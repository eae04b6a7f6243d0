"""Who may: API keys, the tokens that browsers get instead, the pages they may come from, and how often."""
