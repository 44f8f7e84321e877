package hassclient

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// servicesFresh is how long the list is kept where the home does not say that it
// has changed: only administrators may subscribe to that.
const servicesFresh = 10 * time.Second

// Services are what a home can do, by domain and service (get_services). They are
// shared: only to be read.
type Services map[string]map[string]Service

// Lookup returns a service such as "lock", "unlock".
func (s Services) Lookup(domain, service string) (Service, bool) {
	found, ok := s[domain][service]
	return found, ok
}

// Service describes one.
type Service struct {
	Name        string                  `json:"name"`
	Description string                  `json:"description"`
	Fields      map[string]ServiceField `json:"fields"`

	// Target is what it can be aimed at, in Home Assistant's terms; nil where
	// it takes no target.
	Target json.RawMessage `json:"target"`

	// Response is nil where it returns nothing.
	Response *ServiceResponse `json:"response"`
}

// ServiceField is one field of a service's data. One that has Fields itself is a
// section of the form: only a heading.
type ServiceField struct {
	Name        string                  `json:"name"`
	Description string                  `json:"description"`
	Required    bool                    `json:"required"`
	Selector    json.RawMessage         `json:"selector"`
	Fields      map[string]ServiceField `json:"fields"`

	// Filter says which entities have it, in Home Assistant's terms; nil: all.
	Filter json.RawMessage `json:"filter"`
}

// ServiceResponse says that a service returns something: only when asked, or always.
type ServiceResponse struct {
	Optional bool `json:"optional"`
}

// Field finds a field, in sections too.
func (s Service) Field(name string) (ServiceField, bool) {
	return findField(s.Fields, name)
}

func findField(fields map[string]ServiceField, name string) (ServiceField, bool) {
	if f, ok := fields[name]; ok && f.Fields == nil {
		return f, true
	}
	for _, section := range fields {
		if f, ok := section.Fields[name]; ok {
			return f, true
		}
	}
	return ServiceField{}, false
}

// Services returns what the home can do. The answer is kept until the connection
// ends or the home says that it has changed; where the token is not an
// administrator's, for ten seconds.
func (c *Client) Services(ctx context.Context) (Services, error) {
	return c.services.get(ctx)
}

type serviceCache struct {
	client *Client
	busy   chan struct{} // holds one: who may ask

	mu      sync.Mutex
	conn    *conn // that list is of
	list    Services
	at      time.Time
	version uint64 // counts changes at the home
	of      uint64 // the version of list
	watched *conn  // where changes are heard of
}

func (sc *serviceCache) init(c *Client) {
	sc.client = c
	sc.busy = make(chan struct{}, 1)
}

func (sc *serviceCache) get(ctx context.Context) (Services, error) {
	cn := sc.client.conn.Load()
	if cn == nil {
		return nil, fmt.Errorf("get_services: %w", sc.client.notConnected())
	}
	if list, ok := sc.kept(cn); ok {
		return list, nil
	}
	select { // one asks, the others wait for what it gets
	case sc.busy <- struct{}{}:
		defer func() { <-sc.busy }()
	case <-ctx.Done():
		return nil, fmt.Errorf("get_services: %w", ctx.Err())
	}
	if list, ok := sc.kept(cn); ok {
		return list, nil
	}
	sc.listen(ctx, cn)

	sc.mu.Lock()
	version := sc.version
	sc.mu.Unlock()
	var list Services
	if err := cn.do(ctx, []byte(`"type":"get_services"}`)).decode(&list); err != nil {
		return nil, fmt.Errorf("get_services: %w", err)
	}
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.conn, sc.list, sc.at, sc.of = cn, list, sc.client.cfg.Now(), version
	return list, nil
}

// kept returns the list if it is still good.
func (sc *serviceCache) kept(cn *conn) (Services, bool) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if sc.conn != cn || sc.of != sc.version {
		return nil, false
	}
	if sc.watched != cn && sc.client.cfg.Now().Sub(sc.at).Abs() >= servicesFresh {
		return nil, false
	}
	return sc.list, true
}

// listen asks to be told of services that come and go, once per connection, if
// this user may.
func (sc *serviceCache) listen(ctx context.Context, cn *conn) {
	sc.mu.Lock()
	watched := sc.watched == cn
	sc.mu.Unlock()
	if user, ok := sc.client.User(); watched || !ok || !user.IsAdmin {
		return
	}
	for _, event := range []string{"service_registered", "service_removed"} {
		sub := sc.client.newSubscription([]byte(`"type":"subscribe_events","event_type":"` + event + `"}`))
		sub.inline = func(*conn, json.RawMessage) {
			sc.mu.Lock()
			sc.version++
			sc.mu.Unlock()
		}
		if sub.attach(ctx, cn) != nil {
			return // then by age
		}
	}
	sc.mu.Lock()
	sc.watched = cn
	sc.mu.Unlock()
}
