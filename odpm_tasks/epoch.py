"""The time that everything bears which a build writes: the first day that archives of every kind can tell."""

EPOCH = 315532800  # 1980-01-01, seconds since 1970
