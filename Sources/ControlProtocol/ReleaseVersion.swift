/// The version that `version`, `status` and alerts show.
public enum ReleaseVersion {
    /// Semantic version, as in CHANGELOG.md.
    public static let text = "0.1.0"
}
