// Package hasstest is a Home Assistant home in memory: it answers the REST,
// WebSocket and login API as Home Assistant 2026.11 does, within a
// millisecond, and can be made to fail in the ways that real homes fail.
//
//	home := hasstest.New()
//	defer home.Close()
//
//	// home.URL() and home.Token() are what a client needs.
//	home.Fault(hasstest.CloseAfterCall)
//	// … the client calls lock.unlock: the lock turns, the connection breaks.
//	home.Heal()
//	fmt.Println(home.State("lock.front_door"), home.Runs("lock.unlock"))
//
// The home has the entities of Home Assistant's demo integration that a door
// needs (locks, lights, a garage door, vacuums, a notifier) and some scripts:
// script.open_front_door counts in counter.door_opens, script.slow_door counts
// and takes 3 seconds, script.open_and_relock counts and takes 25,
// script.broken_door stops with an error after it has acted, script.notify_host
// fires the event host_notified, and lock.garden_gate counts and is unavailable
// while input_boolean.gate_battery is off. Its users are owner (password
// owner-pass-1, the administrator) and resident (resident-pass-1).
//
// Codes, messages and shapes of its answers are held to the real thing by a
// test table that runs against both. What it does not have, it says: templates
// beyond {{ name }} and {{ name | default(…) }}, conditions other than state and
// template, and the actions choose, repeat, scene and wait_* are errors of
// Home Assistant's kind when they are run.
package hasstest
