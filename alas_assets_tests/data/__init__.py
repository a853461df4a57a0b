"""Tests of the files under `data/`: the sample site and the shipped exam. Nothing of the pipeline is tested here."""
