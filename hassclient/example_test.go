package hassclient_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/caddy-hass/caddy-hass/hassclient"
	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
)

// Open the front door, and say truthfully what came of it. The home is one in
// memory here; a real one has its own URL and long-lived token.
func Example() {
	home := hasstest.New(hasstest.WithoutDelays())
	defer home.Close()

	client, err := hassclient.New(hassclient.Config{
		URL:   home.URL(),
		Token: func() (string, error) { return home.Token(), nil },
	})
	if err != nil {
		log.Fatal(err)
	}
	client.Start()
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := client.Wait(ctx); err != nil {
		log.Fatal(err)
	}

	// Home Assistant would report success for a lock that is not there, so
	// its state is asked first.
	states, err := client.States(ctx, "lock.front_door")
	if err != nil {
		log.Fatal(err)
	}
	if lock, ok := states["lock.front_door"]; !ok || !lock.Available() {
		log.Fatal("the lock does not answer")
	}

	result := client.CallAction(ctx, hassclient.ServiceCall{
		Domain:  "lock",
		Service: "unlock",
		Target:  map[string]any{"entity_id": "lock.front_door"},
	})
	switch result.Outcome {
	case hassclient.Done:
		fmt.Println("the door is open")
	case hassclient.NotSent, hassclient.Rejected:
		fmt.Println("nothing happened:", result.Code, result.Message)
	case hassclient.Failed, hassclient.Unknown:
		fmt.Println("look at the door:", result.Code, result.Message)
	}
	// Output: the door is open
}
