package homes

import "slices"

// adminServices are those that Home Assistant registers for administrators only
// (async_register_admin_service in its source, 2026.11). It does not say so in
// get_services, and an ordinary user's call to one is refused at the press.
var adminServices = map[string][]string{
	"ai_task":            {"clear_images"},
	"automation":         {"reload"},
	"backup":             {"create", "create_automatic"},
	"bayesian":           {"reload"},
	"cast":               {"show_lovelace_view"},
	"cloud":              {"remote_connect", "remote_disconnect"},
	"command_line":       {"reload"},
	"configurator":       {"configure"},
	"debugpy":            {"start"},
	"deconz":             {"configure", "device_refresh", "remove_orphaned_entries"},
	"derivative":         {"reload"},
	"downloader":         {"download_file"},
	"file":               {"read_file"},
	"filter":             {"reload"},
	"fritz":              {"set_guest_wifi_password"},
	"frontend":           {"reload_themes", "set_theme"},
	"generic_thermostat": {"reload"},
	"google_assistant":   {"reload"},
	"history_stats":      {"reload"},
	"homeassistant":      {"check_config", "reload_all", "reload_config_entry", "reload_core_config", "reload_custom_templates", "restart", "set_location", "stop"},
	"homekit":            {"reload"},
	"homematicip_cloud":  {"dump_hap_config", "reset_energy_counter", "set_home_cooling_mode"},
	"huawei_lte":         {"resume_integration", "suspend_integration"},
	"input_boolean":      {"reload"},
	"input_button":       {"reload"},
	"input_datetime":     {"reload"},
	"input_number":       {"reload"},
	"input_select":       {"reload"},
	"input_text":         {"reload"},
	"insteon":            {"add_all_link", "add_default_links", "delete_all_link"},
	"intent_script":      {"reload"},
	"knx":                {"event_register", "exposure_register", "reload"},
	"logger":             {"set_default_level", "set_level"},
	"lovelace":           {"reload_resources"},
	"min_max":            {"reload"},
	"modbus":             {"reload"},
	"monzo":              {"deposit_into_pot", "withdraw_from_pot"},
	"mqtt":               {"dump", "publish", "reload"},
	"person":             {"reload"},
	"recorder":           {"disable", "enable", "get_statistics", "purge", "purge_entities"},
	"scene":              {"reload"},
	"schedule":           {"reload"},
	"shell_command":      {"reload"},
	"simplisafe":         {"remove_pin", "set_pin", "set_system_properties"},
	"statistics":         {"reload"},
	"synology_dsm":       {"reboot", "shutdown"},
	"template":           {"reload"},
	"timer":              {"reload"},
	"tplink_omada":       {"set_client_name"},
	"trend":              {"reload"},
	"unifiprotect":       {"trigger_alarm_webhook"},
	"universal":          {"reload"},
	"zha":                {"issue_zigbee_cluster_command", "issue_zigbee_group_command", "permit", "remove", "set_zigbee_cluster_attribute", "warning_device_squawk", "warning_device_warn"},
	"zone":               {"reload"},
}

// adminOnly reports whether only administrators may call a service.
func adminOnly(domain, service string) bool {
	switch domain {
	case "hassio", "profiler": // all of theirs
		return true
	}
	return slices.Contains(adminServices[domain], service)
}
