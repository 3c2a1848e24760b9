package rest

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"
)

// host is an address in the answer to discovery.
type host struct {
	Protocol string `json:"protocol"`
	Domain   string `json:"domain"`
	Port     string `json:"port"`
	Priority int    `json:"priority"`
}

type hosts struct {
	Hosts []host `json:"hosts"`
}

// discovery is what an SDK with isHttpDNS asks for before it connects. Switches are texts.
type discovery struct {
	AppKey       string `json:"app_key,omitempty"`
	FileVersion  string `json:"file_version"`
	REST         hosts  `json:"rest"`
	Socket       hosts  `json:"msync-wx"`
	SocketOld    hosts  `json:"msync-ws"`
	ReportLogs   string `json:"enableReportLogs"`
	ReportData   string `json:"enableDataReport"`
	UploadInPart string `json:"uploadinparts_enable"`
}

// discover is GET /easemob/server.json. REST and sockets are on one address.
func (s *Server) discover(ec echo.Context) error {
	begin := s.cfg.Now()
	u, err := url.Parse(s.base(ec.Request()))
	if err != nil || u.Host == "" {
		return illegalArgument.say("the request names no host")
	}
	name, port := u.Hostname(), u.Port()
	if strings.Contains(name, ":") {
		name = "[" + name + "]"
	}
	if port == "" {
		port = map[string]string{"https": "443"}[u.Scheme]
		if port == "" {
			port = "80"
		}
	}
	one := hosts{[]host{{u.Scheme, name, port, 1}}}
	writeJSON(ec.Response(), http.StatusOK, &discovery{
		AppKey: firstOf(parseQuery(ec.Request().URL.RawQuery)["app_key"]), FileVersion: "1",
		REST: one, Socket: one, SocketOld: one, ReportLogs: "false", ReportData: "false", UploadInPart: "false",
	})
	s.metrics.answered("discovery", http.StatusOK, s.cfg.Now().Sub(begin))
	return nil
}

func firstOf(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
