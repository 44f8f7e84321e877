// Package caddyonetime has Caddy's modules for one-time links: the app
// "hass_onetime" with what a configuration says once, the handlers
// "http.handlers.hass_onetime" (the guests' side) and
// "http.handlers.hass_onetime_dashboard" (the host's side), and the stores
// "hass_onetime.stores.*".
//
// The domain is in the package onetime and knows nothing of Caddy; the packages
// guest and host serve it over net/http. Here they are put together: an engine
// holds a store, its service and whatever else decides, is shared by all
// configurations of the process that name the same store, and is closed by the
// last one that uses it. Nothing is opened before an app starts.
package caddyonetime
