package hasstest_test

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
)

func Example() {
	home := hasstest.New(hasstest.WithoutDelays())
	defer home.Close()

	req, err := http.NewRequest("POST", home.URL()+"/api/services/lock/unlock", strings.NewReader(`{"entity_id":"lock.front_door"}`))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Authorization", "Bearer "+home.UserToken())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()

	fmt.Println(resp.StatusCode, home.State("lock.front_door"), home.Runs("lock.unlock"))
	// Output: 200 unlocked 1
}
