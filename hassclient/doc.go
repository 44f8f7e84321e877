// Package hassclient is a client for Home Assistant.
//
// A Client keeps one WebSocket open to one home and shares it among any number
// of callers: commands carry growing ids, many are in flight at once, and each
// waits no longer than its context. The connection is watched by pings and made
// anew, with exponential backoff and jitter, whenever it breaks; subscriptions and
// entity states are taken up again by themselves. Calls are not: a call that may
// have reached the home is never repeated by this package. What became of it is
// said by its Result, so that a caller who opens doors can tell "nothing
// happened" from "nobody knows".
//
//	client, err := hassclient.New(hassclient.Config{
//		URL:   "http://192.168.1.10:8123",
//		Token: func() (string, error) { return os.Getenv("HASS_TOKEN"), nil },
//	})
//	if err != nil {
//		return err
//	}
//	client.Start()
//	defer client.Close()
//	if err := client.Wait(ctx); err != nil {
//		return err
//	}
//	result := client.CallAction(ctx, hassclient.ServiceCall{
//		Domain: "lock", Service: "unlock",
//		Target: map[string]any{"entity_id": "lock.front_door"},
//	})
//	fmt.Println(result.Outcome)
//
// Some things about Home Assistant are worth knowing. It reports success for a
// target that does not exist, and for an entity that is unavailable: ask States
// before the call. A home that has just started answers before all its services
// and entities are there: see HomeConfig.Running. And the long-lived token of an
// ordinary user is enough for everything here but ExecuteScript, FireEvent and the
// subscriptions to events and triggers; but only an administrator's token can tell
// a script that stopped with an error from one that is done: see CallAction.
//
// A token that the home refuses is shown to it again only every ten minutes,
// because Home Assistant bans addresses that keep knocking with wrong tokens; see
// StateRefused and Client.Retry.
//
// All methods of a Client are safe for concurrent use.
package hassclient
