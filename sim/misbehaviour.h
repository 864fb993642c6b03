// Misbehaviour: the ways in which a client breaks the protocol, each with the close code that it
// must get (docs/security.md). Every one writes its frames and tells the party what to expect.
#pragma once

#include "sim/party.h"

namespace wspool::sim {

// Makes the party misbehave in way `which` (any number), if its connection can.
void misbehave(Party& party, const Swarm& swarm, Prng& prng, std::uint64_t which);

// A request that is no upgrade, or a bad one, with the status that it must get.
[[nodiscard]] PartyOptions bad_request(Prng& prng);

}  // namespace wspool::sim
