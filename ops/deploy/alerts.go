package deploy

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Alert is one rule.
type Alert struct {
	Name        string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// Alerts reads the rules; tree is the repository's root.
func Alerts(tree fs.FS) ([]Alert, error) {
	b, err := fs.ReadFile(tree, "ops/prometheus/rules.yml")
	if err != nil {
		return nil, err
	}
	var file struct {
		Groups []struct {
			Rules []Alert `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.Unmarshal(b, &file); err != nil {
		return nil, fmt.Errorf("rules.yml: %w", err)
	}
	var out []Alert
	for _, g := range file.Groups {
		out = append(out, g.Rules...)
	}
	return out, nil
}

// Dashboard is what we read of a dashboard of Grafana.
type Dashboard struct {
	File   string  `json:"-"`
	UID    string  `json:"uid"`
	Title  string  `json:"title"`
	Panels []Panel `json:"panels"`
}

// Panel is one picture of a dashboard; a row has no targets.
type Panel struct {
	ID          int    `json:"id"`
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Datasource  struct {
		UID string `json:"uid"`
	} `json:"datasource"`
	GridPos struct{ X, Y, W, H int } `json:"gridPos"`
	Targets []struct {
		Expr   string `json:"expr"`
		Legend string `json:"legendFormat"`
		Ref    string `json:"refId"`
	} `json:"targets"`
}

// Dashboards reads all dashboards.
func Dashboards(tree fs.FS) ([]Dashboard, error) {
	files, err := fs.Glob(tree, "ops/grafana/dashboards/*.json")
	if err != nil {
		return nil, err
	}
	var out []Dashboard
	for _, file := range files {
		b, err := fs.ReadFile(tree, file)
		if err != nil {
			return nil, err
		}
		d := Dashboard{File: path.Base(file)}
		if err := json.Unmarshal(b, &d); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		out = append(out, d)
	}
	return out, nil
}

// Expressions are all that alerts and dashboards ask, by where they stand.
func Expressions(tree fs.FS) (map[string]string, error) {
	alerts, err := Alerts(tree)
	if err != nil {
		return nil, err
	}
	dashboards, err := Dashboards(tree)
	if err != nil {
		return nil, err
	}
	out := make(map[string]string)
	for _, a := range alerts {
		out[a.Name] = a.Expr
	}
	for _, d := range dashboards {
		for _, p := range d.Panels {
			for _, t := range p.Targets {
				out[strings.Join([]string{d.File, p.Title, t.Ref}, "/")] = t.Expr
			}
		}
	}
	return out, nil
}
