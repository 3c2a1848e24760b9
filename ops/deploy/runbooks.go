package deploy

import (
	"fmt"
	"io/fs"
	"strings"
)

// Sections are what each runbook says, as its paragraphs begin.
var Sections = []string{"**What it means.**", "**What users notice.**", "**How to see it.**", "**What to do.**", "**Over when**"}

// Runbook finds the text under the heading that an alert's annotation names: file.md#heading.
func Runbook(tree fs.FS, link string) (string, error) {
	file, anchor, _ := strings.Cut(link, "#")
	b, err := fs.ReadFile(tree, file)
	if err != nil {
		return "", err
	}
	for section := range strings.SplitSeq("\n"+string(b), "\n## ") {
		heading, text, _ := strings.Cut(section, "\n")
		if anchor != "" && strings.ToLower(strings.ReplaceAll(heading, " ", "-")) == anchor {
			return text, nil
		}
	}
	return "", fmt.Errorf("%s has no heading for #%s", file, anchor)
}

// leastBytes is how short a paragraph of a runbook may be.
const leastBytes = 8

// Missing lists what a runbook does not say.
func Missing(text string) (out []string) {
	for _, s := range Sections {
		_, after, found := strings.Cut(text, s)
		said, _, _ := strings.Cut(after, "\n\n**")
		if !found || len(strings.TrimSpace(said)) < leastBytes {
			out = append(out, s)
		}
	}
	return out
}
