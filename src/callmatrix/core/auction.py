"""The order of offers inside one tier: by adjusted price, then priority, then a weight draw (rule 4)."""
