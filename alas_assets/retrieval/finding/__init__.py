"""Finding pages beyond seeds and their links: feeds, sitemaps, record indexes, a local folder, search (R1, R2, O2).

What is found is only addresses with where they came from; fetching them is `retrieval.fetch`, reading them `retrieval.extract`.
"""
