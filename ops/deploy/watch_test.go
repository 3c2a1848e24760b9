package deploy

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, expr string
		want       Query
		err        string
	}{
		{name: "a name", expr: `up == 0`, want: Query{Metrics: []Metric{{Name: "up"}}}},
		{
			name: "conditions, a range and a grouping", expr: `sum by (a, b) (rate(x_total{c="d", e=~"f|g"}[5m] offset 1h)) > 2e3`,
			want: Query{Labels: []string{"a", "b"}, Metrics: []Metric{{Name: "x_total", Match: []Match{{"c", "=", "d"}, {"e", "=~", "f|g"}}}}},
		},
		{
			name: "two metrics joined", expr: `x / on (a) y unless z{b!="c"}`,
			want: Query{Labels: []string{"a"}, Metrics: []Metric{{Name: "x"}, {Name: "y"}, {Name: "z", Match: []Match{{"b", "!=", "c"}}}}},
		},
		{name: "a misspelt function counts as a metric", expr: `summ(x)`, want: Query{Metrics: []Metric{{Name: "summ"}, {Name: "x"}}}},
		{name: "an open quote", expr: `x{a="b}`, err: "not closed"},
		{name: "no metric", expr: `1 + 1`, err: "names no metric"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Parse(c.expr)
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
	require.Equal(t, []string{"f", "g"}, Match{Op: "=~", Value: "f|g"}.Values())
	require.Empty(t, Match{Op: "=~", Value: "f.*"}.Values())
}

// Each alert says what is wrong, how urgent it is, and where its runbook is; each runbook says everything, and belongs to an alert.
func TestAlertsHaveRunbooks(t *testing.T) {
	alerts, err := Alerts(tree)
	require.NoError(t, err)
	require.Greater(t, len(alerts), 30)
	files := map[string]bool{}
	links := map[string]bool{}
	for _, a := range alerts {
		require.Contains(t, []string{"page", "ticket"}, a.Labels["severity"], a.Name)
		require.NotEmpty(t, a.Annotations["summary"], a.Name)
		link := a.Annotations["runbook"]
		file, anchor, _ := strings.Cut(link, "#")
		require.Equal(t, strings.ToLower(a.Name), anchor, a.Name)
		require.False(t, links[link], link)
		files[file], links[link] = true, true
		book, err := Runbook(tree, link)
		require.NoError(t, err, a.Name)
		require.Empty(t, Missing(book), "what the runbook of %s does not say", a.Name)
		require.Regexp(t, "(?m)^    |`", book, "the runbook of %s has neither query nor command", a.Name)
	}
	for file := range files {
		for _, m := range regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(text(t, file), -1) {
			require.True(t, links[file+"#"+strings.ToLower(m[1])], "%s: no alert leads to %s", file, m[1])
		}
		for _, m := range regexp.MustCompile("`(Parley[A-Za-z]+)`").FindAllStringSubmatch(text(t, file), -1) {
			assert.Contains(t, text(t, "ops/prometheus/rules.yml"), "alert: "+m[1]+"\n", "%s speaks of an alert that is not there", file)
		}
	}
}

func TestMissing(t *testing.T) {
	require.Equal(t, Sections, Missing(""))
	require.Equal(t, Sections[4:], Missing("**What it means.** The process has ended.\n\n**What users notice.** Nothing for a while.\n\n"+
		"**How to see it.** Ask the node itself.\n\n**What to do.** Look into its log.\n\n**Over when** ok."))
	_, err := Runbook(tree, "ops/runbooks/node.md#nosuchalert")
	require.ErrorContains(t, err, "no heading")
}

func TestDashboards(t *testing.T) {
	dashboards, err := Dashboards(tree)
	require.NoError(t, err)
	require.Len(t, dashboards, 6)
	uids := map[string]bool{}
	for _, d := range dashboards {
		require.NotEmpty(t, d.Title, d.File)
		require.False(t, uids[d.UID], d.UID)
		uids[d.UID] = true
		ids := map[int]bool{}
		for i, p := range d.Panels {
			where := d.File + "/" + p.Title
			require.NotEmpty(t, p.Title, d.File)
			require.False(t, ids[p.ID], where)
			ids[p.ID] = true
			require.NotEmpty(t, p.Targets, where)
			require.Equal(t, source(t), p.Datasource.UID, where)
			for _, q := range d.Panels[:i] {
				apart := p.GridPos.X >= q.GridPos.X+q.GridPos.W || q.GridPos.X >= p.GridPos.X+p.GridPos.W ||
					p.GridPos.Y >= q.GridPos.Y+q.GridPos.H || q.GridPos.Y >= p.GridPos.Y+p.GridPos.H
				require.True(t, apart, "%s lies over %s", where, q.Title)
			}
		}
	}
	compose := text(t, "docker-compose.yml")
	require.Contains(t, compose, "/etc/parley/dashboards/overview.json")
	require.Contains(t, text(t, "ops/grafana/provisioning/dashboards/parley.yml"), "path: /etc/parley/dashboards}")
}

// source is the data source that is provisioned.
func source(t *testing.T) string {
	t.Helper()
	var file struct {
		Datasources []struct{ UID, URL string }
	}
	require.NoError(t, yaml.Unmarshal([]byte(text(t, "ops/grafana/provisioning/datasources/prometheus.yml")), &file))
	require.Len(t, file.Datasources, 1)
	require.Equal(t, "http://prometheus:9090", file.Datasources[0].URL)
	return file.Datasources[0].UID
}
