"""The tables, columns and functions PostHog is known to have, so that a query can be looked over offline.

From PostHog's table definitions and SQL documentation; an instance may be newer and have more, and has tables
of its own (warehouse tables, saved views). So what is missing here is worth a note, never a refusal.
"""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CLICK_IDS = _names("""
    gclid gad_source gclsrc dclid gbraid wbraid fbclid msclkid twclid li_fat_id mc_cid igshid ttclid irclid
    epik qclid sccid _kx
""")
_ENTRY = " ".join(f"$entry_{name} $entry_has_{name}" for name in _CLICK_IDS)

_EVENTS = _names("""
    uuid event properties timestamp distinct_id elements_chain elements_chain_href elements_chain_texts
    elements_chain_ids elements_chain_elements created_at inserted_at person_id event_person_id person_mode
    $session_id $session_id_uuid $window_id $group_0 $group_1 $group_2 $group_3 $group_4 person pdi poe
    session override group_0 group_1 group_2 group_3 group_4 goe_0 goe_1 goe_2 goe_3 goe_4 event_issue_id
    issue_id issue_id_v2 issue_name issue_status issue_description issue_first_seen issue_assigned_user_id
    issue_assigned_role_id $virt_is_bot $virt_traffic_type $virt_traffic_category $virt_bot_name
    $virt_bot_operator
""")
_PERSONS = _names("""
    id created_at properties is_identified pdi last_seen_at revenue_analytics $virt_initial_channel_type
    $virt_initial_referring_domain_type $virt_revenue $virt_mrr
""")
_SESSIONS = _names(f"""
    session_id session_id_v7 id session_timestamp distinct_id person_id $start_timestamp $end_timestamp
    max_inserted_at $session_duration duration $urls $num_uniq_urls $entry_current_url $entry_pathname
    $entry_hostname $end_current_url $end_pathname $end_hostname $exit_current_url $exit_pathname
    $exit_hostname $entry_referring_domain $entry_referrer $entry_utm_source $entry_utm_medium
    $entry_utm_campaign $entry_utm_term $entry_utm_content $pageview_count $autocapture_count $screen_count
    $channel_type $is_bounce $last_external_click_url $vitals_lcp person {_ENTRY}
""")
_DISTINCT_IDS = _names("distinct_id person_id person")
_GROUPS = _names("index key created_at updated_at properties")
_COHORT_PEOPLE = _names("person_id cohort_id person")
_REPLAY = _names("""
    session_id distinct_id start_time end_time first_url all_urls click_count keypress_count
    mouse_activity_count active_milliseconds console_log_count console_warn_count console_error_count size
    event_count message_count snapshot_source retention_period_days person person_id pdi session events
    console_logs properties
""")
_RAW_REPLAY = _REPLAY | {"min_first_timestamp", "max_last_timestamp", "_timestamp"}
_LOGS = _names("""
    uuid timestamp observed_timestamp time_bucket trace_id span_id body attributes severity_text
    severity_number level resource_attributes instrumentation_scope event_name service_name
""")
_LOG_ENTRIES = _names("log_source log_source_id instance_id timestamp level message")

TABLES: dict[str, frozenset[str]] = {
    "events": _EVENTS,
    "persons": _PERSONS,
    "raw_persons": _PERSONS | {"is_deleted", "version"},
    "person_distinct_ids": _DISTINCT_IDS,
    "raw_person_distinct_ids": _DISTINCT_IDS | {"is_deleted", "version"},
    "person_distinct_id_overrides": _DISTINCT_IDS,
    "raw_person_distinct_id_overrides": _DISTINCT_IDS | {"is_deleted", "version"},
    "sessions": _SESSIONS,
    "raw_sessions": _SESSIONS,
    "raw_sessions_v3": _SESSIONS,
    "groups": _GROUPS,
    "raw_groups": _GROUPS,
    "cohort_people": _COHORT_PEOPLE,
    "raw_cohort_people": _COHORT_PEOPLE | {"sign", "version"},
    "static_cohort_people": _COHORT_PEOPLE,
    "session_replay_events": _REPLAY,
    "raw_session_replay_events": _RAW_REPLAY,
    "logs": _LOGS,
    "posthog.logs": _LOGS,
    "log_entries": _LOG_ENTRIES,
    "console_logs_log_entries": _LOG_ENTRIES,
    "heatmaps": _names("""
        session_id distinct_id x y scale_factor viewport_width viewport_height pointer_target_fixed
        current_url timestamp type
    """),
    "query_log": _names("""
        query_id query query_start_time query_duration_ms created_by read_rows read_bytes result_rows
        result_bytes memory_usage status log_comment kind query_type is_personal_api_key_request exception
        exception_code exception_name endpoint name
    """),
    "numbers": _names("number"),
}
"""Columns, joins and virtual tables by table."""

OPAQUE_TABLES = _names("""
    ai_events app_metrics channel_definition document_embeddings error_tracking_fingerprint_issue_state
    error_tracking_issue_fingerprint_overrides exchange_rate preaggregation_results pg_embeddings
    raw_error_tracking_issue_fingerprint_overrides system.annotations system.cohorts system.dashboards
    system.data_warehouse_sources system.experiments system.exports system.feature_flags
    system.group_type_mappings system.groups system.information_schema.columns
    system.information_schema.tables system.insight_variables system.insights system.surveys system.teams
    web_bounces_combined web_stats_combined
""")
"""Tables that exist, but whose columns vary too much to be listed."""

AGGREGATES = _names("""
    any anyHeavy anyLast approx_distinct argMax argMin array_agg arrayConcatAgg avg avgWeighted
    boundingRatio categoricalInformationValue contingency corr corrStable count covarPop covarPopStable
    covarSamp covarSampStable cramersV deltaSum deltaSumTimestamp entropy exponentialMovingAverage
    first_value first_value_respect_nulls groupArray groupArrayInsertAt groupArrayLast groupArrayMovingAvg
    groupArrayMovingSum groupArraySample groupArraySorted groupBitAnd groupBitOr groupBitXor groupBitmap
    groupConcat groupUniqArray histogram intervalLengthSum kurtPop kurtSamp last_value
    last_value_respect_nulls mannWhitneyUTest max maxIntersections maxIntersectionsPosition maxMap median
    medianExact min minMap quantile quantileBFloat16 quantileDeterministic quantileExact quantileExactHigh
    quantileExactLow quantileExactWeighted quantileTDigest quantileTDigestWeighted quantileTiming
    quantileTimingWeighted quantiles quantilesExact quantilesTDigest quantilesTiming rankCorr retention
    sequenceCount sequenceMatch sequenceNextNode simpleLinearRegression singleValueOrNull skewPop skewSamp
    sparkbar stddevPop stddevSamp stochasticLinearRegression stochasticLogisticRegression string_agg
    studentTTest sum sumCount sumKahan sumMap sumWithOverflow theilsU topK topKWeighted uniq uniqCombined
    uniqCombined64 uniqExact uniqHLL12 uniqTheta uniqUpTo varPop varSamp welchTTest windowFunnel
""")
"""Aggregate functions, without combinators such as -If."""

FUNCTIONS = AGGREGATES | _names("""
    abs accurateCast accurateCastOrNull acos acosh add addDays addHours addMinutes addMonths addQuarters
    addSeconds addWeeks addYears age and appendTrailingCharIfAbsent array arrayAll arrayAvg arrayCompact
    arrayConcat arrayCount arrayCumSum arrayCumSumNonNegative arrayDifference arrayDistinct arrayElement
    arrayEnumerate arrayEnumerateDense arrayEnumerateUniq arrayExists arrayFill arrayFilter arrayFirst
    arrayFirstIndex arrayFlatten arrayFold arrayIntersect arrayJaccardIndex arrayJoin arrayLast
    arrayLastIndex arrayMap arrayMax arrayMin arrayPartialSort arrayPopBack arrayPopFront arrayProduct
    arrayPushBack arrayPushFront arrayReduce arrayReduceInRanges arrayResize arrayReverse arrayReverseFill
    arrayReverseSort arrayReverseSplit arrayRotateLeft arrayRotateRight arrayShuffle arraySlice arraySort
    arraySplit arrayStringConcat arraySum arrayUniq arrayWithConstant arrayZip ascii asin asinh
    assumeNotNull atan atan2 atanh atTimeZone bar base58Decode base58Encode base64Decode base64Encode
    base64URLDecode base64URLEncode bitAnd bitCount bitHammingDistance bitNot bitOr bitRotateLeft
    bitRotateRight bitShiftLeft bitShiftRight bitSlice bitTest bitTestAll bitTestAny bitXor boundary
    caseWithExpression cast cbrt ceil ceiling char_length character_length cityHash64 coalesce concat
    concatWithSeparator convertCurrency convertCharset cos cosh countEqual countSubstrings
    countSubstringsCaseInsensitive crc32 cume_dist current_date current_timestamp cutFragment cutIPv6
    cutQueryString cutQueryStringAndFragment cutToFirstSignificantSubdomain cutURLParameter cutWWW dateAdd
    date dateDiff dateName dateSub dateTrunc date_add date_diff date_part date_sub date_trunc
    decodeURLComponent decodeURLFormComponent decodeXMLComponent decrypt degrees dense_rank dictGet
    dictGetOrDefault dictHas divide dotProduct dumpColumnStructure e editDistance embedText empty
    encodeURLComponent encodeURLFormComponent encodeXMLComponent encrypt endsWith equals erf erfc exists exp
    exp10 exp2 explainCSPReport extract extractAll extractAllGroups extractAllGroupsHorizontal
    extractAllGroupsVertical extractGroups extractTextFromHTML extractURLParameter extractURLParameterNames
    extractURLParameters factorial farmHash64 filesystemAvailable firstSignificantSubdomain flatten floor
    formatDateTime formatReadableDecimalSize formatReadableQuantity formatReadableSize
    formatReadableTimeDelta fragment fromUnixTimestamp fromUnixTimestamp64Micro fromUnixTimestamp64Milli
    fromUnixTimestamp64Nano gcd generateUUIDv4 generateUUIDv7 geoDistance getSurveyResponse greatCircleAngle
    greatCircleDistance greater greaterOrEquals greatest globalIn has hasAll hasAny hasSubsequence hasSubstr
    hasToken hasTokenCaseInsensitive hex hostname hour hypot identity if ifNotFinite ifNull ignore ilike in
    indexOf initcap intDiv intDivOrZero intExp10 intExp2 isBotUserAgent isFinite isInfinite
    isIPAddressInRange isIPv4String isIPv6String isLikelyBot isNaN isNotDistinctFrom isDistinctFrom
    isNotNull isNull isValidJSON isValidUTF8 isZeroOrNull IPv4CIDRToRange IPv4NumToString IPv4StringToNum
    IPv6NumToString IPv6StringToNum jaroSimilarity jaroWinklerSimilarity javaHash JSONArrayLength
    JSONExtract JSONExtractArrayRaw JSONExtractBool JSONExtractFloat JSONExtractInt JSONExtractKeys
    JSONExtractKeysAndValues JSONExtractKeysAndValuesRaw JSONExtractRaw JSONExtractString JSONExtractUInt
    JSONHas JSONLength JSONMergePatch JSONType JSON_VALUE kafkaMurmurHash lag lagInFrame languageCodeToName
    last_day lcm lead leadInFrame least left leftPad leftPadUTF8 leftUTF8 length lengthUTF8 less
    lessOrEquals levenshteinDistance lgamma like ln locate log log10 log1p log2 lookupBotType
    lookupDomainType lookupOrganicMediumType lookupOrganicSourceType lookupPaidMediumType
    lookupPaidSourceType lower lowerUTF8 lpad ltrim makeDate makeDateTime map mapAdd mapApply mapContains
    mapFilter mapFromArrays mapKeys mapSubtract mapUpdate mapValues match matchesAction materialize max2 MD5
    metroHash64 min2 minus minute modulo moduloOrZero monthName month multiFuzzyMatchAny multiIf
    multiMatchAllIndices multiMatchAny multiMatchAnyIndex multiply multiSearchAllPositions multiSearchAny
    multiSearchAnyCaseInsensitive multiSearchFirstIndex multiSearchFirstPosition murmurHash2_64
    murmurHash3_64 negate netloc ngramDistance ngramSearch ngrams normalizedQueryHash normalizeUTF8NFC
    normalizeQuery not notEmpty notEquals notIlike notIn notLike now now64 nowInBlock nth_value ntile nullIf
    numbers or parseDateTime parseDateTimeBestEffort parseDateTimeBestEffortOrNull parseDateTime64BestEffort
    parseDateTime64BestEffortOrNull path pathFull percent_rank pi plus pointInEllipses pointInPolygon port
    position positionCaseInsensitive positionCaseInsensitiveUTF8 positionUTF8 positiveModulo pow power
    printf protocol punycodeEncode quarter queryString queryStringAndFragment radians rand rand64
    randBernoulli randBinomial randCanonical randExponential randNormal randPoisson randUniform range rank
    recording_button recordingButton regexpExtract regexpQuoteMeta repeat replace replaceAll replaceOne
    replaceRegexpAll replaceRegexpOne reverse reverseUTF8 right rightPad rightPadUTF8 rightUTF8 round
    roundAge roundBankers roundDown roundDuration roundToExp2 row row_number rpad rtrim runningAccumulate
    runningDifference second SHA1 SHA224 SHA256 SHA384 SHA512 sign sin sinh sipHash128 sipHash64 slice
    soundex space sparkline splitByAlpha splitByChar splitByNonAlpha splitByRegexp splitByString
    splitByWhitespace sqrt startsWith str_to_date stringJaccardIndex stringToH3 subDate substr substring
    substringIndex substringUTF8 subtractDays subtractHours subtractMinutes subtractMonths subtractQuarters
    subtractSeconds subtractWeeks subtractYears synonyms tan tanh tgamma throwIf timeSlot timeSlots
    timeStampAdd timeStampSub timestamp toBool toDate toDateOrNull toDateTime toDateTime64 toDateTimeUS
    toDateTimeOrNull toDayOfMonth toDayOfWeek toDayOfYear toDecimal toDecimal32 toDecimal64 toFixedString
    toFloat toFloat32 toFloat64 toFloat64OrNull toFloatOrDefault toFloatOrNull toFloatOrZero toHour toInt
    toInt32 toInt64 toInt64OrNull toIntervalDay toIntervalHour toIntervalMinute toIntervalMonth
    toIntervalQuarter toIntervalSecond toIntervalWeek toIntervalYear toIntOrNull toIntOrZero toIPv4 toIPv6
    toISOWeek toISOYear toJSONString toLastDayOfMonth toLastDayOfWeek toMinute toModifiedJulianDay toMonday
    toMonth toNullable toQuarter toRelativeDayNum toRelativeHourNum toRelativeMinuteNum toRelativeMonthNum
    toRelativeQuarterNum toRelativeSecondNum toRelativeWeekNum toRelativeYearNum toSecond toStartOfDay
    toStartOfFifteenMinutes toStartOfFiveMinutes toStartOfHour toStartOfInterval toStartOfISOYear
    toStartOfMinute toStartOfMonth toStartOfQuarter toStartOfSecond toStartOfTenMinutes toStartOfWeek
    toStartOfYear toString toStringCutToZero toTime toTimeZone toTimezone toTypeName toUInt toUInt8 toUInt32
    toUInt64 toUInt64OrNull toUnixTimestamp toUnixTimestamp64Micro toUnixTimestamp64Milli
    toUnixTimestamp64Nano toUUID toUUIDOrNull toUUIDOrZero toValidUTF8 toWeek toYYYYMM toYYYYMMDD
    toYYYYMMDDhhmmss toYear toYearWeek today topLevelDomain to_char to_date to_timestamp transform translate
    translateUTF8 trim trimBoth trimLeft trimRight trunc truncate try_cast tryBase64Decode tryDecrypt tumble
    tuple tupleConcat tupleDivide tupleElement tupleHammingDistance tupleMinus tupleMultiply tupleNegate
    tuplePlus tupleToNameValuePairs unhex unique uniqueSurveySubmissionsFilter untuple upper upperUTF8
    URLHash URLHierarchy URLPathHierarchy UUIDNumToString UUIDStringToNum UUIDv7ToDateTime
    validateNestedArraySizes visitParamExtractString week width_bucket wordShingleSimHash xor xxHash32
    xxHash64 year yesterday domain domainWithoutWWW _caseWithExpression
""")
"""Functions, without combinators."""

COMBINATORS = (
    "Distinct",
    "OrDefault",
    "OrNull",
    "Resample",
    "ForEach",
    "Array",
    "Merge",
    "State",
    "Map",
    "If",
)
"""Endings that make other aggregate functions of aggregate functions; several may follow each other."""
