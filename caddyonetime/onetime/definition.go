package onetime

// Definition is a parsed action: one step or a sequence of them. Parse makes it.
type Definition struct {
	// Steps is the sequence as Home Assistant reads it, in JSON's types.
	Steps []any

	// Calls are all the service calls in it, however deep, in the order of
	// the YAML.
	Calls []Call

	// Single is the one call that can be made as it is, by an ordinary user;
	// nil where the steps have to be run as a script, because there are
	// several, or it is not a call, or it has templates.
	Single *Call

	// Kind is KindDoor where any call is to a lock, a cover or a valve.
	Kind Kind

	// Confirm is what a guest's press needs when the host says nothing:
	// ConfirmAsk for doors and scripts, ConfirmTap for everything else.
	Confirm Confirm
}

// Call is one service call of a definition.
type Call struct {
	Line            int // in the YAML, from 1
	Domain, Service string
	Data            map[string]any
	Target          Target
	Templated       bool // a template decides about service or target: nobody can check it
}

// Target is what a call acts on.
type Target struct {
	Entities []string `json:"entity_id,omitempty"`
	Devices  []string `json:"device_id,omitempty"`
	Areas    []string `json:"area_id,omitempty"`
	Floors   []string `json:"floor_id,omitempty"`
	Labels   []string `json:"label_id,omitempty"`
}

// Parse reads a host's YAML. Errors are *BadInput with Field "definition" and
// the line.
func Parse(yaml string) (*Definition, error) { panic("") }
