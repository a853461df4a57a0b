"""What a person decides: graded answers and pairs out to a spreadsheet, judged there, and read back (E6, S13)."""
