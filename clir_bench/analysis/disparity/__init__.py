"""How unequally a system serves languages: between tiers, over languages, within a pool."""
