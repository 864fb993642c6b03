"""The client contract with python3-autobahn."""

import unittest

from client_contract import ChoosesCompression, ClientContract, SendsFragments, SendsHeaders, SendsPings


class AutobahnClient(ChoosesCompression, ClientContract, SendsFragments, SendsHeaders, SendsPings, unittest.TestCase):
    program = "autobahn_client.py"


if __name__ == "__main__":
    unittest.main()
