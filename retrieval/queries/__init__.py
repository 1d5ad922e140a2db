"""What a person typed: operators, phrases, filters, and the question before."""
