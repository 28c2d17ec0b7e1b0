"""File formats of others: encodings, compression, JSON and Arrow, read strictly and in bounded memory."""
