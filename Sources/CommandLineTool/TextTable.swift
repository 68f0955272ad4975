import ClientSupport

/// Columns of text, each as wide as its longest cell, two spaces apart, without trailing spaces.
struct TextTable {
    /// Colour of a cell.
    enum Colour { case red, green, yellow }

    private var rows: [(cells: [String], colours: [Colour?], notes: [String])] = []
    private let heading: [String]

    init(_ heading: [String]) { self.heading = heading }

    /// Adds a row; `notes` are indented lines below it. Unsafe characters are neutralised.
    mutating func add(_ cells: [String], colours: [Colour?] = [], notes: [String] = []) {
        rows.append((cells.map(SafeText.line), colours, notes.map(SafeText.line)))
    }

    /// The heading and every row.
    func lines(_ style: TextStyle) -> [String] {
        let widths = heading.indices.map { column in
            rows.reduce(heading[column].count) { max($0, $1.cells[column].count) }
        }
        func line(_ cells: [String], _ paint: (Int, String) -> String) -> String {
            var result = ""
            for (column, cell) in cells.enumerated() {
                result += paint(column, cell)
                // What follows only matters when another cell does.
                guard cells[(column + 1)...].contains(where: { !$0.isEmpty }) else { break }
                result += String(repeating: " ", count: widths[column] - cell.count + 2)
            }
            return result
        }
        var result = [line(heading) { style.bold($1) }]
        for row in rows {
            result.append(
                line(row.cells) { column, cell in
                    switch column < row.colours.count ? row.colours[column] : nil {
                    case .red: style.red(cell)
                    case .green: style.green(cell)
                    case .yellow: style.yellow(cell)
                    case nil: cell
                    }
                })
            result += row.notes.map { "  " + $0 }
        }
        return result
    }
}
