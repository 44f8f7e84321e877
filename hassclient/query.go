package hassclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// Query sends a command that only reads, such as "get_config" or
// "config/entity_registry/list", and decodes its result into out (nil: dropped).
// fields are the command's other members. A refusal is a *CommandError; without a
// connection it is ErrNotConnected at once.
func (c *Client) Query(ctx context.Context, typ string, fields map[string]any, out any) error {
	body, err := command(typ, fields)
	if err != nil {
		return fmt.Errorf("%s: %w", typ, err)
	}
	cn := c.conn.Load()
	if cn == nil {
		return fmt.Errorf("%s: %w", typ, c.notConnected())
	}
	if err := cn.do(ctx, body).decode(out); err != nil {
		return fmt.Errorf("%s: %w", typ, err)
	}
	return nil
}

// ValidateActions asks the home whether actions, one or a list of them as in its
// YAML, are well formed (validate_config). What is wrong comes as a *CommandError
// of CodeInvalid in the home's words. Whether the services and targets exist is
// not looked at: see Services and ExtractFromTarget.
func (c *Client) ValidateActions(ctx context.Context, actions any) error {
	var out struct {
		Actions *struct {
			Valid bool   `json:"valid"`
			Error string `json:"error"`
		} `json:"actions"`
	}
	err := c.Query(ctx, "validate_config", map[string]any{"actions": actions}, &out)
	switch {
	case err != nil:
		return err
	case out.Actions == nil:
		return errors.New("validate_config: the home did not say")
	case !out.Actions.Valid:
		return &CommandError{Code: CodeInvalid, Message: out.Actions.Error}
	}
	return nil
}

// Extracted is what a target means in a home (extract_from_target). Entities that
// the target names itself are in Entities, whether they exist or not.
type Extracted struct {
	Entities       []string `json:"referenced_entities"`
	Devices        []string `json:"referenced_devices"`
	Areas          []string `json:"referenced_areas"`
	MissingDevices []string `json:"missing_devices"`
	MissingAreas   []string `json:"missing_areas"`
	MissingFloors  []string `json:"missing_floors"`
	MissingLabels  []string `json:"missing_labels"`
}

// ExtractFromTarget asks which entities a target (entity_id, device_id, area_id,
// floor_id, label_id) stands for now. Groups are not opened up.
func (c *Client) ExtractFromTarget(ctx context.Context, target map[string]any) (Extracted, error) {
	var out Extracted
	err := c.Query(ctx, "extract_from_target", map[string]any{"target": target}, &out)
	return out, err
}

// FireEvent fires an event in the home. The token must be an administrator's. An
// error other than a *CommandError leaves open whether it was fired.
func (c *Client) FireEvent(ctx context.Context, eventType string, data any) error {
	fields := map[string]any{"event_type": eventType}
	if data != nil {
		raw, err := json.Marshal(data)
		if err != nil {
			return fmt.Errorf("fire_event: %w", err)
		}
		fields["event_data"] = json.RawMessage(raw)
	}
	return c.Query(ctx, "fire_event", fields, nil)
}
