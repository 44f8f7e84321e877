package homes

import (
	"testing"

	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
)

// memory starts a home in memory.
func memory(t *testing.T, opts ...hasstest.Option) *world {
	home := hasstest.New(opts...)
	t.Cleanup(home.Close)
	return &world{
		url: home.URL(), admin: home.Token(), user: home.UserToken(), memory: home,
		setArea: func(_ *testing.T, entity, area string) { home.SetArea(entity, area) },
	}
}
