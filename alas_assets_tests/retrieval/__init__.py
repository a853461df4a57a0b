"""Tests of fetching, reading, cutting and storing pages; real sockets, a real child process, real LanceDB."""
