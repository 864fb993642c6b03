"""The client contract with npm ws."""

import unittest

from client_contract import ChoosesCompression, ClientContract, SendsFragments, SendsHeaders, SendsPings


class WsClient(ChoosesCompression, ClientContract, SendsFragments, SendsHeaders, SendsPings, unittest.TestCase):
    program = "ws_client.mjs"


if __name__ == "__main__":
    unittest.main()
