package deploy

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Query is what an expression of PromQL refers to. It is no parser: what is well-formed, promtool tells.
type Query struct {
	Metrics []Metric
	Labels  []string // by which it groups or joins
}

// Metric is one mention of a metric.
type Metric struct {
	Name  string
	Match []Match
}

// Match is one condition on a label.
type Match struct {
	Label, Op, Value string
}

// Values are what the condition names: alternatives of a regular expression apart, none where it is more than that.
func (m Match) Values() []string {
	if !strings.Contains(m.Op, "~") {
		return []string{m.Value}
	}
	if strings.ContainsAny(m.Value, `.*+?()[]{}\^$`) {
		return nil
	}
	return strings.Split(m.Value, "|")
}

var (
	// functions and operators that our expressions may use. A name that is none of them is a metric, so that a misspelt one is found.
	functions = []string{
		"sum", "max", "min", "avg", "count", "topk", "rate", "increase", "changes", "deriv", "delta", "histogram_quantile", "clamp_min", "time",
		"and", "or", "unless", "offset", "bool",
	}
	groupings = []string{"by", "without", "on", "ignoring", "group_left", "group_right"}
)

// Parse finds what an expression refers to.
func Parse(expr string) (Query, error) {
	tokens, err := tokenize(expr)
	if err != nil {
		return Query{}, fmt.Errorf("%q: %w", expr, err)
	}
	var q Query
	for i := 0; i < len(tokens); i++ {
		switch t := tokens[i]; {
		case t == "[":
			i = until(tokens, i, "]")
		case !isName(t) || slices.Contains(functions, t):
		case slices.Contains(groupings, t):
			end := until(tokens, i, ")")
			for _, label := range tokens[i:end] {
				if isName(label) && label != t {
					q.Labels = append(q.Labels, label)
				}
			}
			i = end
		default:
			m := Metric{Name: t}
			if i+1 < len(tokens) && tokens[i+1] == "{" {
				end := until(tokens, i, "}")
				m.Match = matches(tokens[i+2 : end])
				i = end
			}
			q.Metrics = append(q.Metrics, m)
		}
	}
	if len(q.Metrics) == 0 {
		return q, fmt.Errorf("%q names no metric", expr)
	}
	return q, nil
}

// matches reads label, operator, value; label, operator, value.
func matches(tokens []string) (out []Match) {
	for i := 0; i+2 < len(tokens); i += 4 {
		out = append(out, Match{Label: tokens[i], Op: tokens[i+1], Value: strings.Trim(tokens[i+2], `"`)})
	}
	return out
}

// until returns where the next such token is, or the end.
func until(tokens []string, from int, token string) int {
	if n := slices.Index(tokens[from:], token); n >= 0 {
		return from + n
	}
	return len(tokens) - 1
}

func isName(token string) bool { return unicode.IsLetter(rune(token[0])) || token[0] == '_' }

// tokenize splits an expression into names, numbers with their units, quoted texts, and single signs; operators on labels stay whole.
func tokenize(expr string) (tokens []string, err error) {
	for expr = strings.TrimSpace(expr); expr != ""; expr = strings.TrimSpace(expr) {
		n := 1
		switch c := expr[0]; {
		case c == '"':
			n = strings.IndexByte(expr[1:], '"') + 2
			if n < 2 {
				return nil, fmt.Errorf("a quote is not closed at %s", expr)
			}
		case part(c):
			for n < len(expr) && part(expr[n]) {
				n++
			}
		case len(expr) > 1 && slices.Contains([]string{"=~", "!~", "!=", "==", "<=", ">="}, expr[:2]):
			n = 2
		}
		tokens, expr = append(tokens, expr[:n]), expr[n:]
	}
	return tokens, nil
}

func part(c byte) bool {
	return c == '_' || c == '.' || c == '$' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
