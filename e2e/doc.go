// Package e2e holds the tests from outside: a real Caddy process, a real Home
// Assistant, a real browser. Nothing of this module is used but hassclient, which
// looks at the home behind Caddy's back.
//
// The home is named by HASS_URL, HASS_TOKEN (an administrator's) and
// HASS_TOKEN_USER (an ordinary user's); without them the tests that need one are
// skipped, and fail where HASS_E2E_REQUIRED is 1. HASS_HOME is a command that
// restarts the home when it is called with "restart". With HASS_E2E_RACE=1 Caddy is
// built with the race detector, and a race it reports fails the test.
//
// The tests press real scripts and count in the home how often they ran, so
// nothing else may use the home meanwhile.
package e2e
