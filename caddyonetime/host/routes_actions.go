package host

// actionRoutes are those of choosing, checking and looking at actions, of the
// log and of the doctor.
func (h *Handler) actionRoutes() []route {
	return []route{
		{method: "GET", pattern: "/pick", manage: true, serve: (*request).pickPage},
		{method: "GET", pattern: "/look", manage: true, serve: (*request).lookPage},
		{method: "GET", pattern: "/preview", manage: true, serve: (*request).preview},
		{method: "GET", pattern: "/guest/-/{asset}", static: true, serve: (*request).guestAsset},
		{method: "GET", pattern: "/log", serve: (*request).logPage},
		{method: "GET", pattern: "/doctor", manage: true, serve: (*request).doctorPage},
		{method: "GET", pattern: "/credentials", manage: true, serve: (*request).credentialsPage},
		{method: "POST", pattern: "/credentials", manage: true, serve: (*request).credentialsForm},

		{method: "POST", pattern: "/api/actions/{name}/check", manage: true, serve: (*request).checkAction},
	}
}
