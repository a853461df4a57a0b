"""A read-only loopback server for the sample site, stored pages and reports, so that links in the UI open (spec U1)."""
