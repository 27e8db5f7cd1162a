package main

import (
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rekey-host/rekey/host/workflow"
)

// What follows is the part of SARIF 2.1.0 that code scanners read.

type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool       sarifTool     `json:"tool"`
	ColumnKind string        `json:"columnKind"`
	Results    []sarifResult `json:"results"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name    string      `json:"name"`
	Version string      `json:"version"`
	Rules   []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID               string    `json:"id"`
	ShortDescription sarifText `json:"shortDescription"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifResult struct {
	RuleID    string          `json:"ruleId"`
	RuleIndex int             `json:"ruleIndex"`
	Level     string          `json:"level"`
	Message   sarifText       `json:"message"`
	Locations []sarifLocation `json:"locations,omitempty"`
}

type sarifLocation struct {
	PhysicalLocation sarifPlace `json:"physicalLocation"`
}

type sarifPlace struct {
	ArtifactLocation sarifFile    `json:"artifactLocation"`
	Region           *sarifRegion `json:"region,omitempty"`
}

type sarifFile struct {
	URI string `json:"uri"`
}

type sarifRegion struct {
	StartLine   int `json:"startLine"`
	StartColumn int `json:"startColumn,omitempty"`
}

// sarifRules are the kinds of findings, by what workflow.Finding.Rule says.
func sarifRules() []sarifRule {
	made := func(id, text string) sarifRule { return sarifRule{ID: id, ShortDescription: sarifText{text}} }
	return []sarifRule{
		made("script", "What keeps a script from doing what it says"),
		made("syntax", "What is no Starlark"),
		made("type", "A value of a type that does not fit"),
		made("unused", "A name that nothing reads"),
		made("unreachable", "A statement that is never reached"),
		made("duplicate", "A key that stands twice"),
		made("indent", "Tabs and spaces mixed"),
	}
}

// sarifOf is the findings as SARIF. Columns count code points there.
func sarifOf(findings []workflow.Finding) sarifLog {
	rules := sarifRules()
	run := sarifRun{Tool: sarifTool{sarifDriver{"rekey", version(), rules}}, ColumnKind: "unicodeCodePoints", Results: []sarifResult{}}
	for _, finding := range findings {
		at := max(0, slices.IndexFunc(rules, func(rule sarifRule) bool { return rule.ID == finding.Rule }))
		result := sarifResult{RuleID: rules[at].ID, RuleIndex: at, Level: "error", Message: sarifText{finding.Text()}}
		if finding.Warning {
			result.Level = "warning"
		}
		if finding.File != "" {
			place := sarifPlace{ArtifactLocation: sarifFile{uriOf(finding.File)}}
			if finding.Line > 0 {
				place.Region = &sarifRegion{StartLine: finding.Line, StartColumn: columnOf(finding)}
			}
			result.Locations = []sarifLocation{{place}}
		}
		run.Results = append(run.Results, result)
	}
	return sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}}
}

// columnOf is a finding's column in code points; 0: none.
func columnOf(finding workflow.Finding) int {
	if at := finding.Column - 1; at > 0 && at <= len(finding.Source) {
		return utf8.RuneCountInString(finding.Source[:at]) + 1
	}
	return finding.Column
}

// uriOf is a file as a URI: relative as it is written, or file:.
func uriOf(file string) string {
	uri := strings.NewReplacer("%", "%25", " ", "%20", "#", "%23", "?", "%3F", "[", "%5B", "]", "%5D").Replace(filepath.ToSlash(file))
	if strings.HasPrefix(uri, "/") {
		return "file://" + uri
	}
	return uri
}
