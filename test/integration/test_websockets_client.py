"""The client contract with python3-websockets."""

import unittest

from client_contract import ChoosesCompression, ClientContract, SendsFragments, SendsHeaders, SendsPings


class WebsocketsClient(ChoosesCompression, ClientContract, SendsFragments, SendsHeaders, SendsPings, unittest.TestCase):
    program = "websockets_client.py"


if __name__ == "__main__":
    unittest.main()
