package rest

import (
	"strconv"

	"parley/domain"
	"parley/domain/user"
)

// device is a logged-in device as the API shows it.
type device struct {
	Resource string `json:"res"`
	UUID     string `json:"device_uuid"`
	Name     string `json:"device_name"`
}

// resources is GET /users/{u}/resources.
func (c *call) resources() error {
	u, err := c.user()
	if err != nil {
		return err
	}
	if _, err := c.server.account(c.ctx(), c.app.ID, u); err != nil {
		return err
	}
	devices := []device{}
	for _, d := range c.server.cfg.Sessions.Devices(c.app.ID, u) {
		devices = append(devices, device{string(d.Resource), d.DeviceUUID, d.DeviceName})
	}
	return c.data(devices)
}

// status is GET /users/{u}/status. Who does not exist is offline.
func (c *call) status() error {
	name := c.Param("user")
	return c.data(map[string]string{name: c.statusOf(name)})
}

func (c *call) statusOf(name string) string {
	u, err := user.FoldName(name)
	if err == nil && c.server.cfg.Sessions.Online(c.app.ID, u) {
		return "online"
	}
	return "offline"
}

// batchStatus is POST /users/batch/status.
func (c *call) batchStatus() error {
	var req struct {
		Usernames []string `json:"usernames"`
	}
	if err := c.body(&req); err != nil {
		return err
	}
	if len(req.Usernames) == 0 || len(req.Usernames) > c.server.cfg.Settings.StatusBatch {
		return illegalArgument.say("the number of usernames is not within the limit of one call")
	}
	out := make([]map[string]string, len(req.Usernames))
	for i, name := range req.Usernames {
		out[i] = map[string]string{name: c.statusOf(name)}
	}
	return c.data(out)
}

// offlineCount is GET /users/{u}/offline_msg_count.
func (c *call) offlineCount() error {
	u, err := c.user()
	if err != nil {
		return err
	}
	head, err := c.server.account(c.ctx(), c.app.ID, u)
	if err != nil {
		return err
	}
	n, err := c.server.cfg.Undelivered.Count(c.ctx(), c.app.ID, u, head.Incarnation)
	if err != nil {
		return err
	}
	return c.data(map[string]int{c.Param("user"): n})
}

// offlineStatus is GET /users/{u}/offline_msg_status/{id}.
func (c *call) offlineStatus() error {
	u, err := c.user()
	if err != nil {
		return err
	}
	text := c.Param("message")
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil || id == 0 {
		return illegalArgument.say("the message id is not a number")
	}
	head, err := c.server.account(c.ctx(), c.app.ID, u)
	if err != nil {
		return err
	}
	delivered, err := c.server.cfg.Undelivered.Delivered(c.ctx(), c.app.ID, u, head.Incarnation, domain.MessageID(id))
	if err != nil {
		return err
	}
	state := "undelivered"
	if delivered {
		state = "delivered"
	}
	return c.data(map[string]string{text: state})
}
