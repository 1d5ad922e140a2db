"""The steps of a search around the two legs."""
