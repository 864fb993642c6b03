"""The client contract with Chromium."""

import unittest

from client_contract import ClientContract


class ChromiumClient(ClientContract, unittest.TestCase):
    program = "chromium_client.mjs"
    tells_status = False


if __name__ == "__main__":
    unittest.main()
