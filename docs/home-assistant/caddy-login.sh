#!/bin/sh
# Lets somebody in to Home Assistant whom Caddy vouches for (hass_login, passwordless).
# Home Assistant's auth provider command_line runs it, with `username` and `password` in its
# environment. The password is a secret of Caddy's that is good once and for 30 seconds.
# The first argument is where Caddy answers, normally the address of Home Assistant itself.
caddy=${1:?"the address of Caddy is missing, such as https://ha.example.com"}
shift # what follows is for curl, such as --cacert /config/ca.pem

# By standard input: arguments can be seen by other programs.
answer=$(printf '%s\n%s\n' "$username" "$password" |
	curl "$@" --silent --show-error --fail --max-time 10 --data-binary @- "$caddy/auth/jwt_cookie/check") || exit 1

# A redirect, or a page of another site, is no yes.
case $answer in
"# caddy-hass lets in $username
"*) printf '%s\n' "$answer" ;;
*)
	echo "$caddy is not the address of hass_login with passwordless" >&2
	exit 1
	;;
esac
