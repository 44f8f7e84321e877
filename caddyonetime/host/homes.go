package host

// homeNotice says of a home that it is not connected, and why.
type homeNotice struct {
	Name, Text string
	Detail     string // in English, for whoever looks after the server
}

func (r *request) homeNotices() []homeNotice {
	var list []homeNotice
	for _, hs := range r.h.cfg.Homes() {
		if hs.Connected {
			continue
		}
		key := "host.home.away"
		if hs.Refused {
			key = "host.home.refused"
		}
		list = append(list, homeNotice{Name: hs.Name, Text: r.lang().T(key), Detail: hs.Problem})
	}
	return list
}
