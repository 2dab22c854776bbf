"""The viewer: a home's ledger as pages in a browser, served or written as a folder."""
