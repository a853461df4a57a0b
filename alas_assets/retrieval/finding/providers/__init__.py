"""One module per search provider, each loaded only when a domain names it; what they share is `finding.search` and `finding.endpoint`."""
